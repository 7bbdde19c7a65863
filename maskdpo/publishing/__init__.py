"""The Hugging Face Hub: fetching data sets from it, and pushing data sets and models to it."""
