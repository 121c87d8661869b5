"""Writes the numbers in docs/clusters.md from what a benchmark wrote: `python tools/clusters_page.py`."""

from __future__ import annotations

from page import main, number, stored, table


def sizing() -> list[str]:
    """How many nodes a plan needs, and what becomes of it on 1,000 of them."""
    found = stored("results/cluster_simulation.json")
    if found is None:
        return []
    conditions = found["conditions"]
    plans = []
    for row in found["plans"]:
        demand, plan = row["demand"], row["plan"]
        asked = f"{demand['photos']:,}", f"{demand['megapixels']:g}", f"{demand['hours']:g}"
        needed = str(plan["nodes"]), f"{plan['core_hours']:,.0f}", number(plan["store_mb_per_s"], 0)
        plans.append((*asked, *needed, number(row["simulated"]["hours"], 2)))
    runs = [
        (name, number(run["hours"], 2), f"{run['share_of_workers_busy']:.0%}", f"{run['photos_done_again']:,}")
        for name, run in found["thousand_nodes"].items()
    ]
    world, bounded = found["world"], found["thousand_nodes"]["nothing goes wrong"]
    heads = ("photos", "megapixels", "hours", "nodes of 16 cores", "core hours", "store, MB/s", "simulated hours")
    return [
        f"Measured: {found['megapixels_per_s_of_a_core']:.3f} megapixels a second of a core "
        f"({conditions['processor']}, load {conditions['load_before']} before the run, {conditions['day']}); "
        f"the journal takes {found['journal_photos_per_s']:.0f} photos a second.",
        "",
        *table(heads, plans, words=0),
        "",
        f"On {world['nodes']:,} nodes a million photos of 24 megapixels (10 MB each, and as much for the result) wait "
        f"for the store, which gives {world['store_mb_per_s']:,.0f} MB/s unless a row says otherwise: workers are busy "
        f"for {bounded['share_of_workers_busy']:.0%} of the time.",
        "",
        *table(("1,000 nodes, 16 cores", "hours", "workers busy", "photos done again"), runs),
    ]


if __name__ == "__main__":
    main("docs/clusters.md", {"sizing": sizing}, __doc__)
