"""Load series in, quantile forecasts out.

Sources read history, the archive keeps it, models forecast it, the backtest scores them. This room knows numbers,
time and tenants; it knows nothing of Kubernetes, KEDA or pods.
"""
