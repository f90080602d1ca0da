"""The loop of gradient attacks and its parts: objectives, rules, transforms, schedules."""
