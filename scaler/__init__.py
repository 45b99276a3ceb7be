"""calltide itself: policies in, plans out, and the service that runs them.

In layers, held by import-linter: the core (policy model, capacity, plan) is pure; the edges (Kubernetes, web, demo)
do the talking; the service ties them together; the command line is on top.
"""
