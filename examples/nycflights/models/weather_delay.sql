-- What weather costs: each departure with the weather of its hour at its airport, by visibility and wind.
-- Hours for which no weather was reported are a class of their own, so that the flights add up.
WITH hours AS (
	SELECT
		origin,
		time_hour,
		CASE
			WHEN visib < 1 THEN '1 under 1 mile'
			WHEN visib < 3 THEN '2 1 to 3 miles'
			WHEN visib < 10 THEN '3 3 to 10 miles'
			ELSE '4 clear'
		END AS visibility,
		CASE
			WHEN wind_speed IS NULL THEN '0 unknown'
			WHEN wind_speed < 8 THEN '1 light'
			WHEN wind_speed < 19 THEN '2 breeze'
			WHEN wind_speed < 32 THEN '3 strong'
			ELSE '4 gale'
		END AS wind,
		CASE WHEN precip > 0 THEN 1 ELSE 0 END AS wet
	FROM prepare.weather
),
classed AS (
	SELECT
		f.origin,
		COALESCE(h.visibility, '0 unknown') AS visibility,
		COALESCE(h.wind, '0 unknown') AS wind,
		COALESCE(h.wet, 0) AS wet,
		f.time_hour, f.dep_time, f.dep_delay
	FROM prepare.flights f
	LEFT JOIN hours h ON h.origin = f.origin AND h.time_hour = f.time_hour
),
totals AS (
	SELECT
		origin,
		visibility,
		wind,
		COUNT(DISTINCT time_hour) AS hours,
		COUNT(*) AS flights,
		COUNT(*) FILTER (WHERE wet = 1) AS wet_flights,
		COUNT(*) - COUNT(dep_time) AS cancelled,
		COUNT(dep_delay) AS departed,
		COUNT(*) FILTER (WHERE dep_delay > 15) AS late,
		CAST(COALESCE(SUM(dep_delay), 0) AS BIGINT) AS dep_delay_sum
	FROM classed
	GROUP BY origin, visibility, wind
)
SELECT
	origin,
	visibility,
	wind,
	hours,
	flights,
	wet_flights,
	CAST(FLOOR((20000 * cancelled + flights) / (2 * NULLIF(flights, 0))) AS BIGINT) AS cancelled_bp,
	CAST(FLOOR((20000 * late + departed) / (2 * NULLIF(departed, 0))) AS BIGINT) AS late_bp,
	CAST(CAST(FLOOR((20 * dep_delay_sum + departed) / (2 * NULLIF(departed, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1
		AS mean_dep_delay
FROM totals
