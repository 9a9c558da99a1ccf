SELECT diag, COUNT(*) AS patients
FROM diagnoses
WHERE has_cdiff = TRUE
GROUP BY diag
ORDER BY patients DESC, diag
LIMIT 10
