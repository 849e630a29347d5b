"""Text from outside (MLflow, Prefect, DVC, S3, tables, headers, file names), made safe for where it ends.

A module for each place. Names that become paths: `coronet_core.data.file_names`. Pages of HTML are escaped by their
templates.
"""
