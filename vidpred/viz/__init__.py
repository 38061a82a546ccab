"""Arrays to pictures: strips, films and figures."""
