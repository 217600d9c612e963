-- The ten days of each airport that cost passengers the most minutes, beside the weather of the day.
WITH ranked AS (
	SELECT
		day, origin, scheduled, cancelled, lost_minutes, median_dep_delay,
		ROW_NUMBER() OVER (PARTITION BY origin ORDER BY lost_minutes DESC NULLS LAST, day) AS place
	FROM refine.daily_operations
),
weather AS (
	SELECT
		make_date(CAST(year AS INT), CAST(month AS INT), CAST(day AS INT)) AS day,
		origin,
		COUNT(*) AS hours_reported,
		MIN(visib) AS lowest_visibility_miles,
		SUM(precip) AS rain_inches,
		MAX(wind_speed) AS strongest_wind_mph,
		MAX(wind_gust) AS strongest_gust_mph
	FROM prepare.weather
	GROUP BY make_date(CAST(year AS INT), CAST(month AS INT), CAST(day AS INT)), origin
)
SELECT
	r.origin,
	r.place,
	r.day,
	r.scheduled,
	r.cancelled,
	r.lost_minutes,
	r.median_dep_delay,
	COALESCE(w.hours_reported, 0) AS hours_reported,
	w.lowest_visibility_miles,
	w.rain_inches,
	w.strongest_wind_mph,
	w.strongest_gust_mph
FROM ranked r
LEFT JOIN weather w ON w.origin = r.origin AND w.day = r.day
WHERE r.place <= 10
