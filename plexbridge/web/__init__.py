"""What people and programs see: the API, the live feed, the pages, health and metrics."""
