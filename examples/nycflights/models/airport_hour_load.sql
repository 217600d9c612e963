-- When each airport is busy and when it breaks down: scheduled departures by local hour over the days of the year.
WITH by_day AS (
	SELECT
		origin,
		hour,
		year, month, day,
		COUNT(*) AS scheduled,
		COUNT(*) - COUNT(dep_time) AS cancelled,
		COUNT(dep_delay) AS departed,
		COUNT(*) FILTER (WHERE dep_delay > 15) AS late,
		CAST(COALESCE(SUM(dep_delay), 0) AS BIGINT) AS dep_delay_sum
	FROM prepare.flights
	GROUP BY origin, hour, year, month, day
),
by_hour AS (
	SELECT
		origin,
		hour,
		COUNT(*) AS days,
		CAST(SUM(scheduled) AS BIGINT) AS scheduled,
		MAX(scheduled) AS busiest,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY scheduled) AS median_scheduled,
		CAST(SUM(cancelled) AS BIGINT) AS cancelled,
		CAST(SUM(departed) AS BIGINT) AS departed,
		CAST(SUM(late) AS BIGINT) AS late,
		CAST(SUM(dep_delay_sum) AS BIGINT) AS dep_delay_sum
	FROM by_day
	GROUP BY origin, hour
)
SELECT
	h.origin,
	h.hour,
	a.name AS origin_name,
	h.days,
	h.scheduled,
	CAST(CAST(FLOOR(2 * h.median_scheduled) AS BIGINT) AS DECIMAL(6, 0)) * 0.5 AS median_scheduled,
	h.busiest,
	CAST(FLOOR((20000 * h.cancelled + h.scheduled) / (2 * NULLIF(h.scheduled, 0))) AS BIGINT) AS cancelled_bp,
	CAST(FLOOR((20000 * h.late + h.departed) / (2 * NULLIF(h.departed, 0))) AS BIGINT) AS late_bp,
	CAST(CAST(FLOOR((20 * h.dep_delay_sum + h.departed) / (2 * NULLIF(h.departed, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1
		AS mean_dep_delay
FROM by_hour h
LEFT JOIN prepare.airports a ON a.faa = h.origin
