"""The head template, its fit to a photo, and hair."""
