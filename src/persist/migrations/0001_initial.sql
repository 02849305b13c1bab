-- The tables of the hot path. Portable between MySQL 8 and MariaDB 10.11. No foreign keys: every hot table carries
-- performance_id, by which it can be sharded, and a shard cannot check another one's rows.

CREATE TABLE events (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(200) NOT NULL,
  description VARCHAR(2000) NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB;

-- remaining: free places of a capacity performance, the guard against overselling it; 0 and unused for a seated one,
-- whose guard is the version of each seat.
CREATE TABLE performances (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  event_id BIGINT UNSIGNED NOT NULL,
  starts_at DATETIME(3) NOT NULL,
  booking_opens_at DATETIME(3) NULL,
  booking_closes_at DATETIME(3) NULL,
  price BIGINT NOT NULL,
  hold_seconds INT NOT NULL,
  max_reservations_per_user INT NOT NULL,
  kind VARCHAR(10) NOT NULL,
  places INT NOT NULL,
  seats_per_row INT NOT NULL,
  max_party_size INT NOT NULL,
  remaining INT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  KEY performances_event (event_id, id),
  KEY performances_starts_at (starts_at),
  CONSTRAINT performances_not_oversold CHECK (remaining >= 0)
) ENGINE=InnoDB;

-- status: 0 available, 1 held, 2 occupied. version rises by one with every change of status. Who owns a seat stands in
-- reservation_seats alone.
CREATE TABLE seats (
  performance_id BIGINT UNSIGNED NOT NULL,
  seat INT NOT NULL,
  status TINYINT NOT NULL DEFAULT 0,
  version INT NOT NULL DEFAULT 0,
  PRIMARY KEY (performance_id, seat)
) ENGINE=InnoDB;

-- status: 1 held, 2 confirmed, 3 cancelled, 4 expired.
-- expires_at is what the client was told, by the clock of Redis; hold_ends_at is the same moment by MySQL's own clock and
-- the only one MySQL compares.
CREATE TABLE reservations (
  id BINARY(16) NOT NULL,
  performance_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL,
  status TINYINT NOT NULL,
  party_size INT NOT NULL,
  amount BIGINT NOT NULL,
  expires_at DATETIME(3) NOT NULL,
  hold_ends_at DATETIME(3) NOT NULL,
  created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id),
  KEY reservations_user (user_id, id),
  KEY reservations_performance (performance_id, status),
  KEY reservations_due (status, hold_ends_at)
) ENGINE=InnoDB;

-- live is 1 while the reservation owns the seat and NULL after, so that the unique key covers live ones only.
-- version is the one the hold gave the seat.
CREATE TABLE reservation_seats (
  reservation_id BINARY(16) NOT NULL,
  seat INT NOT NULL,
  performance_id BIGINT UNSIGNED NOT NULL,
  version INT NOT NULL,
  live TINYINT NULL,
  PRIMARY KEY (reservation_id, seat),
  UNIQUE KEY reservation_seats_one_live (performance_id, seat, live)
) ENGINE=InnoDB;

