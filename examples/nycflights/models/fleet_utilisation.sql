-- What each airline's types of aircraft do: how many, how old, how far, how long in the air.
-- Planes that the register lacks are 'UNKNOWN', so that flights and miles add up to those of the airline.
WITH legs AS (
	SELECT
		f.carrier,
		COALESCE(p.manufacturer, 'UNKNOWN') AS manufacturer,
		COALESCE(p.model, 'UNKNOWN') AS model,
		f.tailnum,
		p.year AS built,
		f.year AS flown,
		p.seats,
		f.distance,
		f.air_time
	FROM prepare.flights f
	LEFT JOIN prepare.planes p ON p.tailnum = f.tailnum
	WHERE f.dep_time IS NOT NULL AND f.tailnum IS NOT NULL
),
aircraft AS (
	SELECT
		carrier, manufacturer, model, tailnum,
		MAX(flown) - MAX(built) AS age,
		MAX(seats) AS seats,
		COUNT(*) AS flights,
		CAST(SUM(distance) AS BIGINT) AS miles,
		CAST(COALESCE(SUM(air_time), 0) AS BIGINT) AS air_minutes,
		CAST(COALESCE(SUM(seats * distance), 0) AS BIGINT) AS seat_miles
	FROM legs
	GROUP BY carrier, manufacturer, model, tailnum
),
types AS (
	SELECT
		carrier, manufacturer, model,
		COUNT(*) AS aircraft,
		COUNT(age) AS aged,
		CAST(COALESCE(SUM(age), 0) AS BIGINT) AS age_sum,
		MIN(seats) AS seats_min,
		MAX(seats) AS seats_max,
		CAST(SUM(flights) AS BIGINT) AS flights,
		CAST(SUM(miles) AS BIGINT) AS miles,
		CAST(SUM(air_minutes) AS BIGINT) AS air_minutes,
		CAST(SUM(seat_miles) AS BIGINT) AS seat_miles
	FROM aircraft
	GROUP BY carrier, manufacturer, model
)
SELECT
	t.carrier,
	t.manufacturer,
	t.model,
	a.name AS carrier_name,
	t.aircraft,
	CAST(CAST(FLOOR((20 * t.age_sum + t.aged) / (2 * NULLIF(t.aged, 0))) AS BIGINT) AS DECIMAL(9, 0)) * 0.1 AS mean_age_years,
	t.seats_min,
	t.seats_max,
	t.flights,
	t.miles,
	t.air_minutes,
	t.seat_miles,
	CAST(FLOOR((2 * t.flights + t.aircraft) / (2 * NULLIF(t.aircraft, 0))) AS BIGINT) AS flights_per_aircraft,
	CAST(FLOOR((2 * t.miles + t.flights) / (2 * NULLIF(t.flights, 0))) AS BIGINT) AS mean_stage_miles
FROM types t
LEFT JOIN prepare.airlines a ON a.carrier = t.carrier
