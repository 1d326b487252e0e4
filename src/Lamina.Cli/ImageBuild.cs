// Builds an image in front of the user: a progress bar where standard error is a terminal, a line a step elsewhere.
// Spectre.Console is used here only, so that a run of an image that stands never loads it.
using Lamina.Cli.Output;
using Lamina.Images;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Lamina.Cli;

/// <summary>Shows the build of an image.</summary>
internal static class ImageBuild
{
    /// <summary>Runs a build.</summary>
    /// <exception cref="EndedBySignalException">A signal ended it; nothing is left half-made.</exception>
    /// <exception cref="ImageException">It failed.</exception>
    public static Image Run(Func<ImageStore, IProgress<ImageProgress>, CancellationToken, Task<Image>> build) => Run(ImageStore.OfUser(), build);

    /// <summary>Runs a build into a store.</summary>
    /// <exception cref="EndedBySignalException">A signal ended it; nothing is left half-made.</exception>
    /// <exception cref="ImageException">It failed.</exception>
    public static Image Run(ImageStore store, Func<ImageStore, IProgress<ImageProgress>, CancellationToken, Task<Image>> build)
    {
        using var signals = new EndingSignals();
        try
        {
            return Console.IsErrorRedirected
                ? build(store, new LineProgress(), signals.Token).GetAwaiter().GetResult()
                : RunWithBar(progress => build(store, progress, signals.Token));
        }
        catch (OperationCanceledException)
        {
            throw new EndedBySignalException(signals.ExitCode ?? ExitCode.Interrupted);
        }
    }

    private static Image RunWithBar(Func<IProgress<ImageProgress>, Task<Image>> build)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new KnownPercentageColumn(), new ElapsedTimeColumn())
            .StartAsync(async context =>
            {
                var progress = new BarProgress(context);
                var image = await build(progress).ConfigureAwait(false);
                progress.Finish();
                return image;
            })
            .GetAwaiter().GetResult();
    }

    /// <summary>How much of a step is done, where that is known.</summary>
    private sealed class KnownPercentageColumn : ProgressColumn
    {
        public override IRenderable Render(RenderOptions options, ProgressTask task, TimeSpan deltaTime) =>
            new Text(task.IsIndeterminate ? "    " : $"{task.Percentage,3:0}%");
    }

    private sealed class LineProgress : IProgress<ImageProgress>
    {
        private string _step = "";

        public void Report(ImageProgress value)
        {
            if (value.Step == _step) return;
            _step = value.Step;
            Stderr.Say(value.Step);
        }
    }

    private sealed class BarProgress(ProgressContext context) : IProgress<ImageProgress>
    {
        private ProgressTask? _task;
        private string _step = "";

        public void Report(ImageProgress value)
        {
            if (value.Step != _step)
            {
                Finish();
                _step = value.Step;
                _task = context.AddTask(Markup.Escape(value.Step));
            }
            _task!.IsIndeterminate = value.Fraction is null;
            if (value.Fraction is { } fraction) _task.Value = Math.Max(_task.Value, fraction * 100);
        }

        public void Finish()
        {
            if (_task is null) return;
            _task.IsIndeterminate = false;
            _task.Value = _task.MaxValue;
            _task.StopTask();
        }
    }
}
