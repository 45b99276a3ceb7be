"""The generated gRPC code of KEDA's contract. Made by `make contract` from externalscaler.proto."""
