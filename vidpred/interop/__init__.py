"""Exchange with what exists: public checkpoints of the lab, its submission, and formats to hand models on."""
