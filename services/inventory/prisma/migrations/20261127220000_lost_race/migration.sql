-- Lets a statement undo itself when what it was decided on has changed meanwhile. The code is Postgres's own for that: try again.
CREATE FUNCTION "lost_race"() RETURNS timestamptz LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RAISE EXCEPTION 'what was decided on has changed meanwhile' USING ERRCODE = 'serialization_failure';
END
$$;
