-- An event to try things on: only its performances may be rehearsed. Those there already were made to be sold.

ALTER TABLE events
  ADD COLUMN is_demo TINYINT NOT NULL DEFAULT 0;
