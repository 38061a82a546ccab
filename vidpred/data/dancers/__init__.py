"""The embedded data: procedural dancers whose films are drawn, not downloaded."""
