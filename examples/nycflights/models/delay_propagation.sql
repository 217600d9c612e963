-- How lateness is handed on: an aircraft's departures of one day from New York, in order, and whether the one before was
-- late too. Leg 1 is the first of the day; 4 stands for the fourth and later ones.
WITH departures AS (
	SELECT
		carrier, tailnum, year, month, day, sched_dep_time, time_hour, flight, dep_delay,
		ROW_NUMBER() OVER (PARTITION BY tailnum, year, month, day ORDER BY sched_dep_time, time_hour, carrier, flight) AS leg,
		LAG(dep_delay) OVER (PARTITION BY tailnum, year, month, day ORDER BY sched_dep_time, time_hour, carrier, flight)
			AS before_delay
	FROM prepare.flights
	WHERE dep_delay IS NOT NULL AND tailnum IS NOT NULL
),
legs AS (
	SELECT
		carrier,
		CASE WHEN leg > 4 THEN 4 ELSE leg END AS leg,
		COUNT(*) AS departures,
		COUNT(*) FILTER (WHERE dep_delay > 15) AS late,
		COUNT(*) FILTER (WHERE before_delay > 15) AS after_late,
		COUNT(*) FILTER (WHERE before_delay > 15 AND dep_delay > 15) AS late_after_late,
		COUNT(*) FILTER (WHERE before_delay <= 15) AS after_on_time,
		COUNT(*) FILTER (WHERE before_delay <= 15 AND dep_delay > 15) AS late_after_on_time,
		CAST(SUM(dep_delay) AS BIGINT) AS dep_delay_sum
	FROM departures
	GROUP BY carrier, CASE WHEN leg > 4 THEN 4 ELSE leg END
)
SELECT
	l.carrier,
	l.leg,
	a.name AS carrier_name,
	l.departures,
	CAST(FLOOR((20000 * l.late + l.departures) / (2 * NULLIF(l.departures, 0))) AS BIGINT) AS late_bp,
	CAST(CAST(FLOOR((20 * l.dep_delay_sum + l.departures) / (2 * NULLIF(l.departures, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1
		AS mean_dep_delay,
	l.after_late,
	CAST(FLOOR((20000 * l.late_after_late + l.after_late) / (2 * NULLIF(l.after_late, 0))) AS BIGINT) AS late_after_late_bp,
	l.after_on_time,
	CAST(FLOOR((20000 * l.late_after_on_time + l.after_on_time) / (2 * NULLIF(l.after_on_time, 0))) AS BIGINT)
		AS late_after_on_time_bp
FROM legs l
LEFT JOIN prepare.airlines a ON a.carrier = l.carrier
