-- The settings of waiting rooms, and their draws. Who waits stands in Redis alone; the signed tickets that people hold bring
-- their places back where Redis loses them.

-- revision grows with every change of the settings. issued: tickets given out, written down about once a second, so that
-- numbers go on behind them where Redis has lost its count.
CREATE TABLE waiting_rooms (
  performance_id BIGINT UNSIGNED NOT NULL,
  revision INT NOT NULL,
  mode VARCHAR(3) NOT NULL,
  admit_per_second DOUBLE NOT NULL,
  max_active INT NOT NULL,
  pass_seconds INT NOT NULL,
  opens_at DATETIME(3) NULL,
  draw_before_open TINYINT NOT NULL,
  issued BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (performance_id)
) ENGINE=InnoDB;

-- One draw among the tickets first_arrival to last_arrival. seed: 64 hexadecimal digits, from which anybody can work out
-- the numbers again.
CREATE TABLE queue_draws (
  performance_id BIGINT UNSIGNED NOT NULL,
  first_arrival BIGINT NOT NULL,
  last_arrival BIGINT NOT NULL,
  seed CHAR(64) NOT NULL,
  drawn_at DATETIME(3) NOT NULL,
  PRIMARY KEY (performance_id, first_arrival)
) ENGINE=InnoDB;
