-- Each route with the name of where it leads: traffic, punctuality, and the slack in the timetable.
-- Airports that the list lacks (San Juan and others outside the states) keep their code and have no name.
WITH routes AS (
	SELECT
		origin,
		dest,
		COUNT(*) AS flights,
		COUNT(DISTINCT carrier) AS carriers,
		MIN(distance) AS distance_miles,
		COUNT(*) - COUNT(dep_time) AS cancelled,
		COUNT(arr_delay) AS arrived,
		COUNT(*) FILTER (WHERE arr_delay <= 15) AS on_time,
		COUNT(*) FILTER (WHERE dep_delay > 15 AND arr_delay <= 15) AS recovered,
		COUNT(*) FILTER (WHERE dep_delay > 15 AND arr_delay IS NOT NULL) AS left_late,
		CAST(COALESCE(SUM(arr_delay), 0) AS BIGINT) AS arr_delay_sum,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY air_time) AS median_air_minutes,
		MAX(arr_delay) AS worst_arr_delay
	FROM prepare.flights
	GROUP BY origin, dest
)
SELECT
	r.origin,
	r.dest,
	a.name AS dest_name,
	a.tzone AS dest_zone,
	r.distance_miles,
	r.carriers,
	r.flights,
	CAST(FLOOR((20000 * r.cancelled + r.flights) / (2 * NULLIF(r.flights, 0))) AS BIGINT) AS cancelled_bp,
	CAST(FLOOR((20000 * r.on_time + r.arrived) / (2 * NULLIF(r.arrived, 0))) AS BIGINT) AS on_time_bp,
	-- left late, and yet came in on time
	CAST(FLOOR((20000 * r.recovered + r.left_late) / (2 * NULLIF(r.left_late, 0))) AS BIGINT) AS recovered_bp,
	-- tenths of a minute as a whole number, half up, then the point
	CAST(CAST(FLOOR((20 * r.arr_delay_sum + r.arrived) / (2 * NULLIF(r.arrived, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1
		AS mean_arr_delay,
	CAST(CAST(FLOOR(2 * r.median_air_minutes) AS BIGINT) AS DECIMAL(6, 0)) * 0.5 AS median_air_minutes,
	r.worst_arr_delay
FROM routes r
LEFT JOIN prepare.airports a ON a.faa = r.dest
