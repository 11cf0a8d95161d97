"""To and from the forms of others. Nothing here talks to a network."""
