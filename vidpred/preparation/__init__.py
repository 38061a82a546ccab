"""From videos to packed data: decode, find the person, crop, split, store."""
