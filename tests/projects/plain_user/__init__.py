"""The migration of the projects whose user is Django's with two more fields."""
