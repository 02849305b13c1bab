-- A user's reservations by status as well, newest first in each: a list of one status reads what it answers, however many of
-- other statuses the user has given up. Takes the place of (user_id, id), so that a hold writes no entry more.

ALTER TABLE reservations
  DROP KEY reservations_user,
  ADD KEY reservations_user (user_id, status, id);
