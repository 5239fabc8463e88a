-- Answers that are not given again any more are removed by the upkeep, whoever they were for: the oldest first.
DROP INDEX answers_at;
CREATE INDEX answers_at ON answers (at);
