-- Users, their money, payments, and what other services are told.

-- email: in lower case; the longest an address can be (RFC 5321).
CREATE TABLE users (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  email VARCHAR(254) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  name VARCHAR(100) NULL,
  role VARCHAR(5) NOT NULL,
  password_hash VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY users_email (email)
) ENGINE=InnoDB;

-- Tokens that were given back before their end. token_id: a hash of what names the token.
CREATE TABLE revoked_tokens (
  token_id BINARY(16) NOT NULL,
  ends_at DATETIME(3) NOT NULL,
  PRIMARY KEY (token_id),
  KEY revoked_tokens_ends_at (ends_at)
) ENGINE=InnoDB;

-- A user of an outside identity provider has no row in users: money belongs to the id. The sum of the entries is the balance.
CREATE TABLE balances (
  user_id BIGINT UNSIGNED NOT NULL,
  balance BIGINT NOT NULL,
  PRIMARY KEY (user_id),
  CONSTRAINT balances_not_overdrawn CHECK (balance >= 0)
) ENGINE=InnoDB;

-- type: 1 charge, 2 payment, 3 refund. amount: below 0 where money goes. balance: after this entry. request_id: the id a
-- request goes by, so that a repeat finds what it did.
CREATE TABLE balance_entries (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  user_id BIGINT UNSIGNED NOT NULL,
  type TINYINT NOT NULL,
  amount BIGINT NOT NULL,
  balance BIGINT NOT NULL,
  reservation_id BINARY(16) NULL,
  request_id BINARY(16) NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY balance_entries_request (request_id),
  KEY balance_entries_user (user_id, id)
) ENGINE=InnoDB;

-- One payment a reservation, for good: status 1 paid, 2 refunded. balance: the payer's after the payment.
CREATE TABLE payments (
  id BINARY(16) NOT NULL,
  reservation_id BINARY(16) NOT NULL,
  performance_id BIGINT UNSIGNED NOT NULL,
  user_id BIGINT UNSIGNED NOT NULL,
  amount BIGINT NOT NULL,
  balance BIGINT NOT NULL,
  status TINYINT NOT NULL,
  created_at DATETIME(3) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY payments_reservation (reservation_id)
) ENGINE=InnoDB;

-- What happened, written in the transaction in which it did: one row a transaction, however many events. Relayed in the order
-- of the ids and removed then.
CREATE TABLE outbox (
  id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  events MEDIUMTEXT CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (id)
) ENGINE=InnoDB;
