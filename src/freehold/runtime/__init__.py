"""What makes the guarantees true: unit of work, outbox, relay, inbox, sagas, views, jobs, coalescing."""
