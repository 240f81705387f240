"""Booking Rush: flash sales of concert seats, held for ten minutes, never sold twice."""
