"""The running service: configuration, supervisor, jobs, and the state that pages and answers are made from."""
