<?php

declare(strict_types=1);

namespace Template;

use RuntimeException;

/** A template that cannot be read or rendered. */
final class TemplateError extends RuntimeException
{
}
