"""Geometry and search: vehicles, scenarios, Reeds-Shepp curves and path planners."""

if __name__ != "hybridrl.planners":
    raise ImportError("import hybridrl.planners, not planners: the repository root is on sys.path")
