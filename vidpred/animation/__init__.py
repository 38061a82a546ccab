"""One picture of a person, and the poses of a dance: what is needed for a film."""
