"""Where clips come from and how they reach the model."""
