"""Channel logos: fetched once, kept small, and given by digest; a player never asks a stranger."""
