SELECT user_id
FROM credentials
GROUP BY user_id, hash
HAVING COUNT(*) > 1
