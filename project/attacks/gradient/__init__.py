"""The gradient loop, and the parts that it takes: objectives, rules, transforms, schedules."""
