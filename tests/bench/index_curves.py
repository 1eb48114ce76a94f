#!/usr/bin/env python3
"""Tables and curves of the index benchmarks.

    index_curves.py RESULT_DIR [OUT.svg]

Reads RESULT_DIR/index-SET-WHO.json as index_run.sh writes them; prints one table per set, queries
per second interpolated (log-linear) at fixed recalls, and draws recall against speed as SVG.
"""
import glob
import json
import math
import os
import sys

SETS = ["real", "e384", "e384h", "l128", "e1536"]
NAMES = ["q8", "q8-avx2", "q4", "hnswlib06", "hnswlib08", "hnswlib08-avx2", "faiss"]
COLORS = {"q8": "#0b6e4f", "q8-avx2": "#6bbf8e", "q4": "#08a4bd", "hnswlib06": "#f2a65a",
          "hnswlib08": "#d1495b", "hnswlib08-avx2": "#e8a0a8", "faiss": "#5d576b"}
RECALLS = [0.95, 0.98, 0.99, 0.995, 0.999]


def read(folder):
    results = {}
    for path in glob.glob(os.path.join(folder, "index-*.json")):
        name = os.path.basename(path)[len("index-"):-len(".json")]
        which, _, who = name.partition("-")
        if which not in SETS:
            continue
        lines = [json.loads(line) for line in open(path) if line.strip()]
        if len(lines) > 1 and "build_s" in lines[0]:
            points = sorted((line["recall10"], line["us"]) for line in lines if "ef" in line)
            results.setdefault(which, {})[who] = (lines[0], points)
    return results


def speed_at(points, recall):
    """Queries per second at `recall`; None where the curve does not reach it."""
    for (left, left_us), (right, right_us) in zip(points, points[1:]):
        if left <= recall <= right:
            part = 0 if right == left else (recall - left) / (right - left)
            return 1e6 / math.exp(math.log(left_us) * (1 - part) + math.log(right_us) * part)
    return 1e6 / points[0][1] if points and points[0][0] >= recall else None


def print_table(which, peers):
    base = peers.get("hnswlib08") or peers.get("hnswlib06")
    print(f"\n{which}\n{'':16}{'build CPU s':>12}{'B/vector':>10}"
          + "".join(f"{'qps @' + str(r):>14}" for r in RECALLS) + f"{'x @.99':>8}")
    for who in NAMES:
        if who not in peers:
            continue
        head, points = peers[who]
        speeds = [speed_at(points, recall) for recall in RECALLS]
        reference = base
        if who == "q8-avx2" and "hnswlib08-avx2" in peers:
            reference = peers["hnswlib08-avx2"]
        other = speed_at(reference[1], 0.99) if reference else None
        ratio = f"{speeds[2] / other:8.2f}" if speeds[2] and other else f"{'-':>8}"
        print(f"{who:16}{head.get('build_cpu_s', head['build_s']):12.1f}"
              f"{head['bytes_per_vector']:10.0f}"
              + "".join(f"{s:14,.0f}" if s else f"{'-':>14}" for s in speeds) + ratio)


def print_extras(folder):
    """What is not a curve: the lines as they are, and what two threads bring."""
    builds = {}
    for path in sorted(glob.glob(os.path.join(folder, "index-extra-*.json"))
                       + glob.glob(os.path.join(folder, "index-million-*.json"))):
        print(f"\n{os.path.basename(path)[6:-5]}")
        with open(path) as file:
            lines = file.read().splitlines()
        builds[os.path.basename(path)] = json.loads(lines[0])["build_s"]
        print("\n".join(lines))
    one, two = builds.get("index-extra-one.json"), builds.get("index-extra-two.json")
    if one and two:
        print(f"two threads build {one / two:.2f} times faster: {one:.1f} s and {two:.1f} s")


def position(recall, us, left, top):
    """Recall on a scale that opens towards 1; microseconds on a logarithmic one."""
    x = (-math.log10(max(1 - recall, 0.0003)) - 0.7) / (3.53 - 0.7)
    y = (math.log10(us) - 1) / 2
    return left + 40 + min(max(x, 0), 1) * 290, top + 200 - min(max(y, 0), 1) * 170


def draw(results, path):
    shown = [which for which in SETS if which in results]
    rows = (len(shown) + 1) // 2
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="720" height="{rows * 250 + 40}" '
             'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" '
             'fill="white"/>']
    for number, which in enumerate(shown):
        left, top = number % 2 * 360, number // 2 * 250
        parts.append(f'<text x="{left + 40}" y="{top + 18}" font-weight="bold">{which}: '
                     'microseconds per query against recall@10 (right and low is better)</text>')
        for recall in (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999):
            x, bottom = position(recall, 10, left, top)
            parts.append(f'<path d="M{x:.1f} {top + 30}V{bottom:.1f}" stroke="#ddd"/><text '
                         f'x="{x:.1f}" y="{bottom + 14:.1f}" text-anchor="middle" font-size="8">'
                         f'{recall}</text>')
        for us in (10, 20, 50, 100, 200, 500, 1000):
            x, y = position(0.8, us, left, top)
            parts.append(f'<path d="M{x:.1f} {y:.1f}h290" stroke="#ddd"/><text x="{x - 4:.1f}" '
                         f'y="{y + 3:.1f}" text-anchor="end" font-size="8">{us}</text>')
        for who in NAMES:
            if who in results[which]:
                path_data = " ".join("%.1f,%.1f" % position(recall, us, left, top)
                                     for recall, us in results[which][who][1])
                parts.append(f'<polyline points="{path_data}" fill="none" stroke="{COLORS[who]}" '
                             f'stroke-width="{2.5 if who.startswith("q") else 1.5}"/>')
    for number, who in enumerate(NAMES):
        x, y = 20 + number * 100, rows * 250 + 20
        parts.append(f'<rect x="{x}" y="{y - 8}" width="14" height="4" fill="{COLORS[who]}"/>'
                     f'<text x="{x + 18}" y="{y - 2}">{who}</text>')
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n</svg>\n")


def main():
    results = read(sys.argv[1])
    for which in SETS:
        if which in results:
            print_table(which, results[which])
    print_extras(sys.argv[1])
    if len(sys.argv) > 2:
        draw(results, sys.argv[2])


main()
