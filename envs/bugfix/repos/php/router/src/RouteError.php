<?php

declare(strict_types=1);

namespace Router;

use RuntimeException;

/** A pattern that cannot be read, a link that cannot be made, a request without a route (code 404 or 405). */
final class RouteError extends RuntimeException
{
}
