"""Rows and columns of tables that several suites share."""

PARKING_CLASSES = (
    "normal-bay",
    "normal-parallel",
    "complex-bay",
    "complex-parallel",
    "extreme-parallel",
    "extreme-bay",
    "ultra-parallel",
    "lot",
)

# Systems with closed replay at depth 1; `-open` replays the arrivals, `-shift` changes the workload
# half-way.
STORAGE_SYSTEMS = tuple(
    f"{system}{mode}"
    for mode in ("", "-open", "-shift")
    for system in ("perf", "cost", "tri", "quad")
)
STORAGE_WORKLOADS = (
    *("hm_1", "mds_0", "prn_1", "proj_0", "proj_2", "proj_3", "prxy_0", "prxy_1", "rsrch_0"),
    *("src1_0", "stg_1", "usr_0", "wdev_2", "web_1", "vdi_mix", "ycsb_a", "ycsb_d"),
)
STORAGE_POLICIES = (
    *("fast_only", "slow_only", "random", "cde", "hps", "lru_write", "lru_all", "lfu", "arc"),
    *("static_topk", "cde+hps", "lru_write+hps", "sibyl", "harmonia", "harmonia-default"),
    *("harmonia-place", "harmonia-move", "harmonia-blind", "harmonia-cold"),
    *("harmonia-default-place", "harmonia-default-move", "harmonia-default-blind"),
    *("harmonia-default-bare", "archivist_like", "rnn_hss_like", "oracle", "oracle_belady"),
)
