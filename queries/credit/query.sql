SELECT r1.customer_id
FROM agency_a.ratings AS r1
JOIN agency_b.ratings AS r2 ON r1.customer_id = r2.customer_id
JOIN agency_c.ratings AS r3 ON r1.customer_id = r3.customer_id
JOIN agency_d.ratings AS r4 ON r1.customer_id = r4.customer_id
WHERE r1.year = 2019 AND r2.year = 2019 AND r3.year = 2019 AND r4.year = 2019
  AND GREATEST(r1.score, r2.score, r3.score, r4.score) - LEAST(r1.score, r2.score, r3.score, r4.score) > 75
