"""Input images from wherever they are: path, file URL, https URL, data URL."""
