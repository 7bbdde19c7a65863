"""`evaluate --people`: scores that a sample of people's reviews corrects."""
