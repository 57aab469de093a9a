-- How many items of a tenant may be in the window at once; null for what its tier has.

ALTER TABLE tenants ADD COLUMN items_in_flight_max integer CHECK (items_in_flight_max > 0);
