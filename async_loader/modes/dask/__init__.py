"""Mode dask: a run over the workers of a Dask cluster. The only package that imports dask and distributed."""
