"""What the tables of the demo must hold: computed by pyarrow from the CSV files, by the contracts' words."""
import functools
import os

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

import lake as L

I, S, F, T = pa.int64(), pa.string(), pa.float64(), pa.timestamp("us", tz="UTC")


def D(p, s):
    return pa.decimal128(p, s)


COLUMNS = {
    "airlines": {"carrier": S, "name": S},
    "airports": {"faa": S, "name": S, "lat": D(18, 15), "lon": D(18, 15), "alt": I, "tz": I, "dst": S, "tzone": S},
    "flights": {"year": I, "month": I, "day": I, "dep_time": I, "sched_dep_time": I, "dep_delay": I, "arr_time": I,
                "sched_arr_time": I, "arr_delay": I, "carrier": S, "flight": I, "tailnum": S, "origin": S, "dest": S,
                "air_time": I, "distance": I, "hour": I, "minute": I, "time_hour": T},
    "planes": {"tailnum": S, "year": I, "type": S, "manufacturer": S, "model": S, "engines": I, "seats": I, "speed": I,
               "engine": S},
    "weather": {"origin": S, "year": I, "month": I, "day": I, "hour": I, "temp": D(5, 2), "dewp": D(5, 2),
                "humid": D(5, 2), "wind_dir": I, "wind_speed": F, "wind_gust": F, "precip": D(4, 2),
                "pressure": D(5, 1), "visib": D(4, 2), "time_hour": T},
}
KEYS = {"airlines": ["carrier"], "airports": ["faa"], "flights": ["time_hour", "carrier", "flight"],
        "planes": ["tailnum"], "weather": ["origin", "time_hour"]}
ROWS = {"airlines": 16, "airports": 1458, "flights": 336776, "planes": 3322, "weather": 26115}
RESOURCES = sorted(COLUMNS)


@functools.cache
def source(resource):
    """All rows of the CSV file, typed; NA is null."""
    table = pyarrow.csv.read_csv(
        os.path.join(L.FLIGHTS, resource + ".csv"),
        convert_options=pyarrow.csv.ConvertOptions(column_types=COLUMNS[resource], null_values=["NA"],
                                                   strings_can_be_null=True, quoted_strings_can_be_null=False))
    assert table.column_names == list(COLUMNS[resource]) and table.num_rows == ROWS[resource]
    for name in KEYS[resource]:
        assert table[name].null_count == 0
    return table


def refused(resource):
    """Which rows the contract sets aside. Only one wind of 2013 was never blown."""
    if resource != "weather":
        return pa.array([False] * source(resource).num_rows)
    return pc.fill_null(pc.greater(source(resource)["wind_speed"], 254.0), False)


@functools.cache
def quarantined(resource):
    return source(resource).filter(refused(resource))


@functools.cache
def published(resource):
    return source(resource).filter(pc.invert(refused(resource)))


def ordered(table, keys):
    return table.combine_chunks().sort_by([(k, "ascending") for k in keys])
