-- How each day went at each of the three airports: the page of the morning meeting.
-- Late is more than 15 minutes, as the DOT counts. Shares are basis points (1 % = 100), rounded half up in integers.
WITH flights AS (
	SELECT
		make_date(CAST(year AS INT), CAST(month AS INT), CAST(day AS INT)) AS day,
		origin, dep_time, dep_delay, arr_delay
	FROM prepare.flights
),
days AS (
	SELECT
		day,
		origin,
		COUNT(*) AS scheduled,
		COUNT(dep_time) AS departed,
		COUNT(*) - COUNT(dep_time) AS cancelled,
		COUNT(*) FILTER (WHERE dep_time IS NOT NULL AND arr_delay IS NULL) AS diverted,
		COUNT(*) FILTER (WHERE dep_delay > 15) AS late_departures,
		COUNT(*) FILTER (WHERE arr_delay > 15) AS late_arrivals,
		COUNT(arr_delay) AS arrived,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY dep_delay) AS median_dep_delay,
		MAX(dep_delay) AS worst_dep_delay,
		COALESCE(SUM(arr_delay) FILTER (WHERE arr_delay > 0), 0) AS lost_minutes
	FROM flights
	GROUP BY day, origin
)
SELECT
	day,
	origin,
	scheduled,
	departed,
	cancelled,
	diverted,
	CAST(FLOOR((20000 * cancelled + scheduled) / (2 * NULLIF(scheduled, 0))) AS BIGINT) AS cancelled_bp,
	late_departures,
	CAST(FLOOR((20000 * late_departures + departed) / (2 * NULLIF(departed, 0))) AS BIGINT) AS late_departures_bp,
	late_arrivals,
	CAST(FLOOR((20000 * late_arrivals + arrived) / (2 * NULLIF(arrived, 0))) AS BIGINT) AS late_arrivals_bp,
	-- a half at most: counted in halves, since doubles and decimals do not mix
	CAST(CAST(FLOOR(2 * median_dep_delay) AS BIGINT) AS DECIMAL(6, 0)) * 0.5 AS median_dep_delay,
	worst_dep_delay,
	lost_minutes
FROM days
