-- One line an airline: how much it flies from New York, with what, and how well it keeps its word.
WITH flown AS (
	SELECT f.carrier, f.tailnum, f.dest, f.dep_time, f.dep_delay, f.arr_delay, f.distance, p.seats
	FROM prepare.flights f
	LEFT JOIN prepare.planes p ON p.tailnum = f.tailnum
),
totals AS (
	SELECT
		carrier,
		COUNT(*) AS flights,
		COUNT(DISTINCT tailnum) AS aircraft,
		COUNT(DISTINCT dest) AS destinations,
		COUNT(*) - COUNT(dep_time) AS cancelled,
		COUNT(arr_delay) AS arrived,
		COUNT(*) FILTER (WHERE arr_delay <= 15) AS on_time,
		COUNT(*) FILTER (WHERE arr_delay > 120) AS very_late,
		CAST(COALESCE(SUM(arr_delay), 0) AS BIGINT) AS arr_delay_sum,
		COUNT(*) FILTER (WHERE dep_time IS NOT NULL AND seats IS NOT NULL) AS flights_with_seats,
		CAST(COALESCE(SUM(seats) FILTER (WHERE dep_time IS NOT NULL), 0) AS BIGINT) AS seats_flown,
		CAST(COALESCE(SUM(seats * distance) FILTER (WHERE dep_time IS NOT NULL), 0) AS BIGINT) AS seat_miles
	FROM flown
	GROUP BY carrier
),
shares AS (
	SELECT
		t.*,
		CAST(SUM(flights) OVER () AS BIGINT) AS all_flights,
		CAST(FLOOR((20000 * on_time + arrived) / (2 * NULLIF(arrived, 0))) AS BIGINT) AS on_time_bp
	FROM totals t
)
SELECT
	s.carrier,
	a.name,
	s.flights,
	CAST(FLOOR((20000 * s.flights + s.all_flights) / (2 * NULLIF(s.all_flights, 0))) AS BIGINT) AS share_bp,
	s.aircraft,
	s.destinations,
	CAST(FLOOR((20000 * s.cancelled + s.flights) / (2 * NULLIF(s.flights, 0))) AS BIGINT) AS cancelled_bp,
	s.on_time_bp,
	RANK() OVER (ORDER BY s.on_time_bp DESC NULLS LAST) AS on_time_rank,
	s.very_late,
	CAST(CAST(FLOOR((20 * s.arr_delay_sum + s.arrived) / (2 * NULLIF(s.arrived, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1
		AS mean_arr_delay,
	-- only planes that the register knows
	s.flights_with_seats,
	s.seats_flown,
	s.seat_miles
FROM shares s
LEFT JOIN prepare.airlines a ON a.carrier = s.carrier
