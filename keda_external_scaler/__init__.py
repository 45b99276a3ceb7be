"""KEDA's external-scaler contract over a read-only answer book.

It runs in a process of its own in which nothing else runs, so that no fit, page or crash can make KEDA wait. It knows
the contract and the book, and not how an answer is made.
"""
