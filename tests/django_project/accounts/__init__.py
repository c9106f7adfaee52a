"""The user model, in the shapes that the tests need."""
